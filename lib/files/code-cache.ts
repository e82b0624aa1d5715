/**
 * Variables that keep jiti, with which node-pg-migrate loads migrations, from its cache of code. The cache is the folder `jiti`
 * in the temporary folder: another user of the machine could create it first, and the code in it is run.
 */
export const NO_CODE_CACHE = { JITI_FS_CACHE: 'false' } as const;
