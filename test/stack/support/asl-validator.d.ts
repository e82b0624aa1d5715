declare module 'asl-validator' {
  /** Its states are changed: hand in a copy. */
  export default function validator(definition: unknown): {
    isValid: boolean;
    errorsText(separator?: string): string;
  };
}
