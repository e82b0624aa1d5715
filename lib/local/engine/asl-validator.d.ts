declare module 'asl-validator' {
  /** Adds fields to the states of the definition: hand in a copy. */
  export default function validator(definition: unknown): {
    isValid: boolean;
    errorsText(separator?: string): string;
  };
}
