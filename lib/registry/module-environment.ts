/*
 * The variables of the process that runs a registry. Its code needs no passwords, so it does not get them by accident: in a log,
 * an error or a request. This is no protection from code that means harm: it runs as the same user, and can read what that
 * user can read.
 */

/** Names of variables that hold a secret, or the address of one. */
const SECRET_NAME =
  /PASS(?:WORD|WD|PHRASE|FILE)?(?:_|$)|SECRET|TOKEN|CREDENTIAL|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|(?:^|_)AUTH|^AWS_PROFILE$|^PG[A-Z]+$|DATABASE_URL|CONNECTION_?STRING|(?:^|_)DSN$/i;

/** A URL with a password: `postgres://user:password@host`. */
const URL_WITH_PASSWORD = /:\/\/[^/@\s:]*:[^/@\s]+@/;

/** The variables without those that hold a secret. */
export function withoutSecrets(variables: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(variables).filter(
      ([name, value = '']) => !SECRET_NAME.test(name) && !URL_WITH_PASSWORD.test(value),
    ),
  );
}
