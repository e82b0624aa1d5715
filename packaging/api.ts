/*
 * Writes API.md from the types that lib/index.ts exports, and their comments. It reads the source with a parser and needs no build:
 * see docs/adr/0036-package.md. `npm run api` writes the file; a test compares it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiText } from './api-text.ts';

const ROOT = join(import.meta.dirname, '..');

writeFileSync(join(ROOT, 'API.md'), apiText(ROOT));
