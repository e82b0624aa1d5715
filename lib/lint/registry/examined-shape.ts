import type { ExaminedEntry } from '../../registry/examine-registry.ts';
import { type IndexShape, shapeOf } from '../../registry/index-shape.ts';

/** An entry and what its index is. */
export interface ExaminedShape extends IndexShape {
  readonly entry: ExaminedEntry;
}

export function examinedShape(entry: ExaminedEntry): ExaminedShape {
  return { entry, ...shapeOf(entry.statement) };
}
