import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

// Sealer encrypts the new values while they wait, with AES-256-GCM. What they are for is
// authenticated along with them, so that they open only for the request they were typed for.
export class Sealer {
  #key;
  #fingerprintKey;

  // The keyset may be any long secret: keys are derived from it.
  constructor(keyset) {
    this.#key = Buffer.from(hkdfSync('sha256', keyset, '', 'bolt-peer sealing', 32));
    this.#fingerprintKey = Buffer.from(hkdfSync('sha256', keyset, '', 'bolt-peer fingerprint', 32));
  }

  seal(values, purpose) {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(purpose));
    const sealed = Buffer.concat([cipher.update(JSON.stringify(values), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  open(sealed, purpose) {
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, 12)).setAAD(Buffer.from(purpose));
    decipher.setAuthTag(sealed.subarray(12, 28));
    return JSON.parse(Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()]).toString('utf8'));
  }

  // fingerprint stands for a value: two people can compare it without saying the value.
  fingerprint(value) {
    return createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8);
  }
}
