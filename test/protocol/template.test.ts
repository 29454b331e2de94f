import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BautaError } from '../../src/protocol/bauta-error.js';
import {
  defaultTemplates,
  expandTemplate,
  parseTemplate,
  targetVariables,
} from '../../src/protocol/template.js';
import { createTemplateMatcher, type TemplateMatch } from '../../src/protocol/template-matcher.js';

const isTemplateError = (error: unknown): boolean =>
  error instanceof BautaError && error.code === 'ERR_TEMPLATE';
const expand = (text: string, values: Record<string, string>): string =>
  expandTemplate(parseTemplate(text), values);
const match = (template: string, path: string): TemplateMatch =>
  createTemplateMatcher(parseTemplate(template), targetVariables)(path);
const values = (template: string, path: string): string | Record<string, string> => {
  const result = match(template, path);
  return result.kind === 'match' ? Object.fromEntries(result.values) : result.kind;
};

const target = { target_host: '192.0.2.6', target_port: '443' };
const forms = [
  defaultTemplates.udp,
  '/masque{?target_host,target_port}',
  '/masque?h={target_host}&p={target_port}',
  '/masque?x=1{&target_host,target_port}',
  '/{target_host,target_port}',
  '/a/{target_port}/b/{target_host}',
  '/m;h={target_host};p={target_port}?',
];

test('S8: templates that RFC 9298 section 2 allows, with what they expand to', () => {
  const cases: [string, string][] = [
    [
      'https://example.org/.well-known/masque/udp/{target_host}/{target_port}/',
      '/.well-known/masque/udp/192.0.2.6/443/',
    ],
    ['https://proxy.example.org:4443/masque?h={target_host}&p={target_port}', '/masque?h=192.0.2.6&p=443'],
    [
      'https://proxy.example.org:4443/masque{?target_host,target_port}',
      '/masque?target_host=192.0.2.6&target_port=443',
    ],
    ['/m{?target_port,other}{&target_host}', '/m?target_port=443&target_host=192.0.2.6'],
    ['/{target_host,target_port}{?none}', '/192.0.2.6,443'],
  ];
  for (const [text, expected] of cases) assert.equal(expand(text, target), expected);
  assert.deepEqual(parseTemplate(cases[1]?.[0] ?? '').origin, {
    scheme: 'https',
    authority: 'proxy.example.org:4443',
  });
});

test('S8: templates that break a rule are refused at configuration time', () => {
  const both = '{target_host}/{target_port}';
  for (const text of [
    '',
    'masque/{target_host}/{target_port}', // not absolute
    `https:///${both}`, // no authority
    `https://example.org{?target_host,target_port}`, // no path
    'https://{target_host}/{target_port}', // a variable outside of path and query
    `https://example.org/${both}#x`,
    '/{target_host}/', // a variable is missing
    '/{target_port}/',
    '/{+target_host}/{target_port}',
    '/{#target_host}/{target_port}',
    '/{.target_host}/{target_port}',
    '/{/target_host}/{target_port}',
    '/{;target_host}/{target_port}',
    '/{target_host:3}/{target_port}', // level 4
    '/{target_host*}/{target_port}',
    '/{=target_host}/{target_port}', // operators kept for later
    '/{}/{target_host}/{target_port}',
    `/{target_host,}/{target_port}`,
    '/{target_host/{target_port}',
    '/target_host}/{target_port}',
    '/{{target_host}}/{target_port}',
    `/a b/${both}`,
    `/\u00e9/${both}`,
    '/{target-host}/{target_host}/{target_port}',
  ]) {
    assert.throws(() => parseTemplate(text), isTemplateError, text);
  }
});

test("S8: a server's template must be readable in one way only", () => {
  for (const text of [
    '/{target_host}{target_port}',
    '/{target_host}-{target_port}',
    '/{target_host}x/{target_port}',
    '/{target_host}/{target_port}/{other}',
    '/{target_host}/{target_port}{?target_host}',
    '/{target_host}{&target_port}',
    '/m?{target_host}={target_port}',
    '/m?x{?target_host,target_port}',
  ]) {
    const template = parseTemplate(text);
    assert.throws(() => createTemplateMatcher(template, targetVariables), isTemplateError, text);
  }
});

test('S9: the colons of an IPv6 address are percent-encoded, and refused where they are not', () => {
  const path = expand(defaultTemplates.udp, { target_host: '2001:db8::42', target_port: '443' });
  assert.equal(path, '/.well-known/masque/udp/2001%3Adb8%3A%3A42/443/');
  assert.deepEqual(values(defaultTemplates.udp, path), { target_host: '2001:db8::42', target_port: '443' });
  assert.equal(values(defaultTemplates.udp, '/.well-known/masque/udp/2001:db8::42/443/'), 'malformed');
});

test('other paths are none, bad values are malformed', () => {
  const none = [
    '/',
    '',
    '/x',
    '/.well-known/masque/udp/a/1',
    '/.well-known/masque/udp/a/1/2/',
    '/.well-known/masque/tcp/a/1/',
    '/.well-known/masque/udp/a/1/?x',
  ];
  for (const path of none) assert.equal(values(defaultTemplates.udp, path), 'none', path);
  for (const host of ['%', '%4', '%zz', '%ff', '[::1]', 'a b', 'a@b', 'a"b', '\u00e9', 'a\\b']) {
    assert.equal(values(defaultTemplates.udp, `/.well-known/masque/udp/${host}/1/`), 'malformed', host);
  }
  assert.deepEqual(values(defaultTemplates.udp, '/.well-known/masque/udp//1/'), {
    target_host: '',
    target_port: '1',
  });
  assert.deepEqual(values(defaultTemplates.udp, '/.well-known/masque/udp/%2A/*/'), {
    target_host: '*',
    target_port: '*',
  });
});

test('query items in another order, among others, missing or doubled', () => {
  const template = '/m{?target_host,target_port}';
  const found = { target_host: 'a', target_port: '1' };
  assert.deepEqual(values(template, '/m?target_port=1&x=y&target_host=a'), found);
  for (const path of ['/m', '/m?', '/m?target_host=a', '/m?target_host=a&target_host=b&target_port=1']) {
    assert.equal(values(template, path), 'malformed', path);
  }
  assert.equal(values(template, '/n?target_port=1&target_host=a'), 'none');
  assert.equal(values('/m?v=2{&target_host,target_port}', '/m?v=1&target_host=a&target_port=1'), 'none');
});

test('what a template expands to is read back, whatever the values', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 });
  fc.assert(
    fc.property(fc.constantFrom(...forms), text, text, (form, target_host, target_port) => {
      const path = expand(form, { target_host, target_port });
      assert.match(path, /^[\x21-\x7e]+$/);
      assert.deepEqual(values(form, path), { target_host, target_port });
    }),
    { numRuns: 500 },
  );
});

test('any path is matched in linear time and throws nothing', () => {
  for (const form of forms) {
    const matcher = createTemplateMatcher(parseTemplate(form), targetVariables);
    matcher(`/m?${'h=&'.repeat(20_000)}`);
    matcher(`/${'a,;=/'.repeat(20_000)}`);
    fc.assert(fc.property(fc.oneof(fc.string(), fc.webPath()), (path) => void matcher(path)));
  }
});
