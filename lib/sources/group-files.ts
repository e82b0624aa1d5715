/** Files by a key, such as their folder, both in the order in which they come. */
export function grouped(members: readonly (readonly [key: string, file: string])[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [key, file] of members) {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  return groups;
}
