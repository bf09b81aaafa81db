// Signs a command for a daemon that runs with PMS_COMMAND_KEYS. The bytes are signed as they are sent: build the text,
// sign it, and put the signature in as the last field.
import { createHmac, randomUUID } from "node:crypto";

export function signed(type, body, keyId, secret, now = Date.now(), nonce = randomUUID()) {
  const text = JSON.stringify({ ...body, keyId, timestamp: now, nonce });
  const signature = createHmac("sha256", secret).update(`${type}\n${text}`).digest("hex");
  return `${text.slice(0, -1)},"signature":"${signature}"}`;
}
