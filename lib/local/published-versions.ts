/** A published version of a function or of a state machine. */
export interface PublishedVersion {
  readonly number: number;
  /** It still exists after an update of the stack has published another one. */
  readonly isRetained: boolean;
}

/**
 * The versions that were published of functions and state machines, over all updates of a stack. Publishing the same content
 * again gives the same version, as in AWS; other content gets the next number.
 */
export class PublishedVersions {
  readonly #contents = new Map<string, string[]>();

  /**
   * @param arn of the function or the state machine, without a version
   * @param content what distinguishes this version from the others
   * @returns the number of the version, from 1
   */
  publish(arn: string, content: string): number {
    const contents = this.#contents.get(arn) ?? [];
    this.#contents.set(arn, contents);
    const known = contents.indexOf(content);
    return known === -1 ? contents.push(content) : known + 1;
  }
}
