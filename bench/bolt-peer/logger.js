import { format } from 'node:util';

const levels = ['debug', 'info', 'warn', 'error'];

// Logger writes one JSON object a line to stderr. Bolt and its clients log through it
// too, so it has the methods that they ask of a logger. An object that comes last is
// taken for fields.
export class Logger {
  constructor(level, stream = process.stderr) {
    this.stream = stream;
    this.setLevel(level);
  }

  setLevel(level) {
    this.level = level;
    this.least = levels.indexOf(level);
  }

  getLevel() {
    return this.level;
  }

  setName() {} // Bolt's parts say who they are, which a line of JSON does not need

  debug(...args) {
    if (this.least <= 0) this.#write('DEBUG', args);
  }

  info(...args) {
    if (this.least <= 1) this.#write('INFO', args);
  }

  warn(...args) {
    if (this.least <= 2) this.#write('WARN', args);
  }

  error(...args) {
    this.#write('ERROR', args);
  }

  #write(level, args) {
    const last = args.at(-1);
    const fields =
      args.length > 1 && last !== null && typeof last === 'object' && !(last instanceof Error) ? args.pop() : {};
    this.stream.write(
      `${JSON.stringify({ time: new Date().toISOString(), level, msg: format(...args), ...fields })}\n`,
    );
  }
}

// reason is what may be logged of an error: Slack's and Atlas' errors can carry what was
// sent, so of these only the code.
export const reason = (error) => error.data?.error ?? error.code ?? error.message;
