import { config } from 'zod/mini';
import en from 'zod/v4/locales/en.js';

/*
 * zod in its mini form, for the schemas of the functions. Its parts are plain functions, so that a bundle contains only those
 * that are used. The mini form has no messages of its own.
 */

config(en());

export * from 'zod/mini';
