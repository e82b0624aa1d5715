import { TLSSocket } from 'node:tls';
import type pg from 'pg';
import type { ConnectionParameters } from './connection-uri.ts';

/** The methods of require_auth that node-postgres supports, by the message with which the server asks for them. */
const METHODS = {
  authenticationCleartextPassword: 'password',
  authenticationMD5Password: 'md5',
  authenticationSASL: 'scram-sha-256',
} as const;

interface ServerMessage {
  readonly mechanisms?: readonly string[];
}

/** The parts of node-postgres' Connection that are used here. */
interface Connection {
  readonly stream: unknown;
  prependListener?(event: string, listener: (message: ServerMessage) => void): void;
}

/**
 * The password of a connection, which is given to the server only after it has asked in a way that the parameters
 * channel_binding and require_auth allow. A server that someone put in the place of the real one cannot ask for less.
 */
export class RequiredAuthentication {
  readonly #parameters: ConnectionParameters;
  #method = 'none';
  #isBound = false;

  constructor(parameters: ConnectionParameters) {
    this.#parameters = parameters;
  }

  /** For node-postgres: it calls this function when the server asks for a password. */
  readonly password = async (): Promise<string> => {
    this.#check();
    const { password, user } = this.#parameters;
    if (password !== undefined) return password;
    throw new Error(
      `The server asks for the password of the user "${user}", and none is given. Set PGPASSWORD, or add a line to the ` +
        'password file (~/.pgpass, mode 0600): HOST:PORT:DATABASE:USER:PASSWORD.',
    );
  };

  /** Observes how the server asks. To be called before the client connects. */
  observe(client: pg.Client): void {
    const { connection } = client as unknown as { readonly connection: Connection };
    for (const [event, method] of Object.entries(METHODS)) {
      connection.prependListener?.(event, ({ mechanisms = [] }) => {
        this.#method = method;
        this.#isBound = mechanisms.includes('SCRAM-SHA-256-PLUS') && connection.stream instanceof TLSSocket;
      });
    }
  }

  /** To be called after the client has connected. @throws Error when the server has not asked in an allowed way */
  checkConnected(): void {
    this.#check();
  }

  #check(): void {
    const { channel_binding: binding, require_auth: methods } = this.#parameters;
    if (binding === 'require' && !this.#isBound) {
      throw new Error(
        'channel_binding=require: the server does not offer channel binding, so the password is not sent. It needs TLS and ' +
          'the authentication method scram-sha-256.',
      );
    }
    if (methods !== undefined && !isAllowed(this.#method, methods.split(','))) {
      throw new Error(
        `require_auth=${methods}: the server uses the authentication method ${this.#method}, so the password is not sent.`,
      );
    }
  }
}

/** All methods of the list are negated, or none is. */
function isAllowed(method: string, list: readonly string[]): boolean {
  const negated = list.every((name) => name.startsWith('!'));
  return negated ? !list.includes(`!${method}`) : list.includes(method);
}
