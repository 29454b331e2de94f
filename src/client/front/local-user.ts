import { createHash, timingSafeEqual } from 'node:crypto';
import type { BasicCredentials } from '../../protocol/basic-credentials.js';

/** Who may use a front-end. */
export type LocalUser = BasicCredentials;

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Whether these are the user's name and password; takes the same time whatever is wrong with them. */
export function isLocalUser(user: LocalUser, given: BasicCredentials): boolean {
  const name = timingSafeEqual(digest(user.name), digest(given.name));
  const password = timingSafeEqual(digest(user.password), digest(given.password));
  return name && password;
}
