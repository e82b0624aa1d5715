/*
 * zod in its mini form, for the schemas of the functions. Its parts are plain functions, so that a bundle contains only those
 * that are used. The mini form has no messages of its own: `readVariables` gives a function those of schema-messages.ts. They are
 * a setting of the whole process, so a CDK app that imports these schemas keeps its own.
 */

export * from 'zod/mini';
