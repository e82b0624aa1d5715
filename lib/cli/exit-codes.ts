/** The workflow ended well, warnings included. */
export const SUCCEEDED = 0;
/** The workflow failed, or could not be run. */
export const FAILED = 1;
/** The command line is wrong; the usage is printed. */
export const WRONG_USAGE = 2;
