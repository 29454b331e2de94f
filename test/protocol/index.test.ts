import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as protocol from '../../src/protocol/index.js';

test('the public face has what its documentation names', () => {
  const wanted = [
    'createCapsuleParser',
    'encodeCapsule',
    'encodeFieldSection',
    'decodeFieldSection',
    'createH3FrameParser',
    'decodeH3Settings',
    'parseTemplate',
    'expandTemplate',
    'createTemplateMatcher',
    'parseTarget',
    'judgeAddress',
    'parseProxyStatus',
    'parseAccessLink',
    'readVarint',
    'failures',
    'BautaError',
  ];
  for (const name of wanted) assert.ok(name in protocol, name);
});

test('the pieces fit: a link, a request, its field section and back', () => {
  const link = protocol.parseAccessLink('https://ann:secret@proxy.example:4433/');
  const target = protocol.parseTarget('[2001:db8::1]:443');
  const template = protocol.parseTemplate(link.template ?? protocol.defaultTemplates.udp);
  assert.ok(link.user);
  const bytes = protocol.encodeFieldSection(
    protocol.encodeRequest({
      kind: 'extended',
      protocol: 'connect-udp',
      scheme: 'https',
      authority: protocol.formatHostPort(link.host, link.port),
      path: protocol.expandTemplate(template, { target_host: target.host, target_port: String(target.port) }),
      fields: [protocol.capsuleProtocolField, ['authorization', protocol.formatBasicCredentials(link.user)]],
    }),
  );
  const head = protocol.decodeRequest(protocol.decodeFieldSection(bytes, 0, bytes.length, 65_536));
  assert.ok(head.kind === 'extended' && protocol.saysCapsuleProtocol(head.fields));
  const match = protocol.createTemplateMatcher(template, protocol.targetVariables)(head.path);
  assert.ok(match.kind === 'match');
  const found = protocol.makeTarget(
    match.values.get('target_host') ?? '',
    match.values.get('target_port') ?? '',
  );
  assert.deepEqual(found, target);
  const credentials = protocol.parseBasicCredentials(
    protocol.singleField(head.fields, 'authorization') ?? '',
  );
  assert.deepEqual(credentials, link.user);
});
