/** Where local runs take place: what a template's pseudo parameters and ARNs stand for. */
export const REGION = 'eu-west-1';
export const ACCOUNT = '000000000000';
