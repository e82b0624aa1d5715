import { config } from 'zod/mini';
import { schemaMessage } from './schema-messages.ts';

/*
 * zod in its mini form, for the schemas of the functions. Its parts are plain functions, so that a bundle contains only those
 * that are used. The mini form has no messages of its own.
 */

config({ localeError: schemaMessage });

export * from 'zod/mini';
