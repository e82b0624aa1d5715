'use strict';

/*
 * Takes the place of packages that bundled packages import for what the functions never do. CommonJS, because pg requires a
 * class.
 */

const refuse = () => {
  throw new Error(
    'The bundles of the functions do not contain this package: see lib/functions/bundle-functions.ts.',
  );
};

/** pg-pool and pgpass: the class of a pool, and a function that reads a password file. */
module.exports = class NotBundled {
  constructor() {
    refuse();
  }
};
/** pg-connection-string */
module.exports.parse = refuse;
/** jiti: node-pg-migrate creates its loader of code when it is loaded itself. */
module.exports.createJiti = () => ({ import: refuse });
/** glob */
module.exports.glob = refuse;
