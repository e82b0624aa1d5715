/** A database that this product does not build on; the message says why and what mends it. */
export class Refused extends Error {
  override readonly name = 'Refused';
}
