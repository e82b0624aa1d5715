import { TextCursor } from '../../lib/sql/text-cursor.ts';

/** Counts what the splitter reads. */
export class CountingCursor extends TextCursor {
  read = 0;

  override unitAt(at: number): number {
    this.read += 1;
    return super.unitAt(at);
  }

  override find(part: string, from: number): number {
    const found = super.find(part, from);
    this.read += Math.max(0, found - from);
    return found;
  }

  override slice(start: number, end: number): string {
    this.read += Math.max(0, end - start);
    return super.slice(start, end);
  }
}
