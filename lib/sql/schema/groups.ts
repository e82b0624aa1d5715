/** Objects by a key that several of them share, in the order in which they were added. */
export class Groups<Member> {
  private readonly groups = new Map<string, Set<Member>>();

  add(key: string, member: Member): void {
    const group = this.groups.get(key) ?? new Set();
    group.add(member);
    this.groups.set(key, group);
  }

  remove(key: string, member: Member): void {
    const group = this.groups.get(key);
    group?.delete(member);
    if (group?.size === 0) this.groups.delete(key);
  }

  /** The members of a group at this moment. */
  of(key: string): Member[] {
    return [...(this.groups.get(key) ?? [])];
  }
}
