/*
 * Tools that keep the way back in the file of the way forth, told by a comment: node-pg-migrate (`-- Down Migration`), dbmate
 * (`-- migrate:down`), goose (`-- +goose Down`), sql-migrate (`-- +migrate Down`).
 */
const DOWN = /^[ \t]*--[\s-]*(?:down\s+migration|migrate:down|\+goose\s+down|\+migrate\s+down)/im;
const UP = /^[ \t]*--[\s-]*(?:up\s+migration|migrate:up|\+goose\s+up|\+migrate\s+up)/im;

/** A migration with its way back blanked out, so that every line and column stays. */
export function upPart(text: string): string {
  const down = text.search(DOWN);
  if (down === -1) return text;
  const up = text.search(UP);
  const end = up > down ? up : text.length;
  return text.slice(0, down) + text.slice(down, end).replaceAll(/[^\n]/g, ' ') + text.slice(end);
}
