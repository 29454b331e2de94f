import type { Fields } from '../../protocol/fields.js';

/** Fields that speak of one HTTP/1.1 connection (RFC 9110 section 7.6.1); `host` is the authority. */
const connectionSpecific = new Set([
  'connection',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** The fields without any that speak of one connection, those that `Connection` names included. */
export function endToEndFields(fields: Fields): Fields {
  const nominated = new Set<string>();
  for (const [name, value] of fields) {
    if (name !== 'connection') continue;
    for (const option of value.split(',')) nominated.add(option.trim().toLowerCase());
  }
  return fields.filter(([name]) => !connectionSpecific.has(name) && !nominated.has(name));
}

/** Node's flat list of names and values as fields, names in lower case, pseudo-headers left out. */
export function fieldsOfRaw(raw: readonly string[]): Fields {
  const fields: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    if (!name.startsWith(':')) fields.push([name.toLowerCase(), raw[index + 1] ?? '']);
  }
  return fields;
}
