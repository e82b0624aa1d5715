/** Objects by a key that several of them share, in the order in which they were added. */
export class Groups<Member extends object> {
  /** Most groups of a schema have one member, such as the index of a table's primary key: it needs no set. */
  private readonly groups = new Map<string, Member | Set<Member>>();

  add(key: string, member: Member): void {
    const group = this.groups.get(key);
    if (group === undefined) this.groups.set(key, member);
    else if (group instanceof Set) group.add(member);
    else if (group !== member) this.groups.set(key, new Set([group, member]));
  }

  remove(key: string, member: Member): void {
    const group = this.groups.get(key);
    if (group === member) this.groups.delete(key);
    if (!(group instanceof Set)) return;
    group.delete(member);
    if (group.size === 0) this.groups.delete(key);
  }

  /** The members of a group at this moment. */
  of(key: string): Member[] {
    const group = this.groups.get(key);
    if (group === undefined) return [];
    return group instanceof Set ? [...group] : [group];
  }
}
