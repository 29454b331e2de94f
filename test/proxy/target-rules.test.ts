import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createVirtualClock } from '../../src/clock/virtual-clock.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { createOwnAddresses } from '../../src/proxy/own-addresses.js';
import { createTargetRules, type TargetLists } from '../../src/proxy/target-rules.js';

const nobody = { has: () => false };

/** `yes`, or the error code, for an address found for a name or asked for literally. */
const verdict = (lists: TargetLists, address: string, name?: string): string => {
  const found = createTargetRules(lists, nobody).judge(name, address);
  return found.allowed ? 'yes' : found.code;
};

describe('target rules', () => {
  test('public addresses are allowed, special ones refused, also inside IPv6', () => {
    for (const address of ['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8']) {
      assert.equal(verdict({}, address), 'yes', address);
    }
    for (const address of [
      '127.0.0.1',
      '10.1.2.3',
      '169.254.169.254',
      '168.63.129.16',
      '::1',
      'fe80::1',
      'fd00::1',
      '::ffff:127.0.0.1',
      '::7f00:1',
      '64:ff9b::10.0.0.1',
      '2002:7f00:1::',
      '2001:0:1::1',
      'ff02::1',
      '255.255.255.255',
      '0.0.0.0',
    ]) {
      assert.equal(verdict({}, address), 'ERR_TARGET_REFUSED', address);
    }
  });

  test('allow lifts the refusal of its addresses and of no others', () => {
    const lists = { allow: ['10.0.0.0/8', 'fd00::/16'] };
    assert.equal(verdict(lists, '10.1.2.3'), 'yes');
    assert.equal(verdict(lists, '::ffff:10.1.2.3'), 'yes', 'a mapped address is dialled as IPv4');
    assert.equal(verdict(lists, 'fd00::1'), 'yes');
    assert.equal(verdict(lists, '192.168.0.1'), 'ERR_TARGET_REFUSED');
    assert.equal(
      verdict(lists, '64:ff9b::10.1.2.3'),
      'ERR_TARGET_REFUSED',
      'another way there is not lifted',
    );
  });

  test('a block of mapped addresses speaks of the IPv4 addresses in it', () => {
    const lists = {
      allow: ['::ffff:10.0.0.0/104'],
      deny: ['::ffff:8.8.8.0/120', 'a.example@::ffff:9.9.9.9'],
    };
    assert.equal(verdict(lists, '8.8.8.8'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '::ffff:8.8.8.8'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '8.8.9.8'), 'yes');
    assert.equal(verdict(lists, '9.9.9.9', 'a.example'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '10.1.2.3'), 'yes');
    assert.equal(verdict(lists, '192.168.0.1'), 'ERR_TARGET_REFUSED');
  });

  test('NAME@CIDR lifts for that name only; a name alone is refused at configuration', () => {
    const lists = { allow: ['db.corp@10.0.0.0/8'] };
    assert.equal(verdict(lists, '10.1.2.3', 'db.corp'), 'yes');
    assert.equal(verdict(lists, '10.1.2.3', 'DB.Corp.'), 'yes');
    assert.equal(verdict(lists, '10.1.2.3', 'other.corp'), 'ERR_TARGET_REFUSED');
    assert.equal(verdict(lists, '10.1.2.3'), 'ERR_TARGET_REFUSED');
    assert.throws(
      () => createTargetRules({ allow: ['db.corp'] }, nobody),
      (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
    );
  });

  test('only makes a list of targets, and lifts nothing', () => {
    const lists = { only: ['8.8.8.0/24', 'example.com', '*.example.org', '10.0.0.0/8'] };
    assert.equal(verdict(lists, '8.8.8.8'), 'yes');
    assert.equal(verdict(lists, '9.9.9.9'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '9.9.9.9', 'example.com'), 'yes');
    assert.equal(verdict(lists, '9.9.9.9', 'www.example.com'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '9.9.9.9', 'www.example.org'), 'yes');
    assert.equal(verdict(lists, '9.9.9.9', 'example.org'), 'ERR_TARGET_DENIED');
    assert.equal(verdict(lists, '10.0.0.1'), 'ERR_TARGET_REFUSED');
    assert.equal(verdict(lists, '127.0.0.1', 'example.com'), 'ERR_TARGET_REFUSED');
  });

  test('deny wins over everything, also over an IPv4 address inside IPv6', () => {
    const lists = {
      allow: ['10.0.0.0/8'],
      only: ['0.0.0.0/0', '::/0'],
      deny: ['10.9.0.0/16', '8.8.8.8', 'bad.test'],
    };
    assert.equal(verdict(lists, '10.1.0.1'), 'yes');
    assert.equal(verdict(lists, '10.9.0.1'), 'ERR_TARGET_DENIED');
    for (const address of ['8.8.8.8', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1']) {
      assert.equal(verdict(lists, address), 'ERR_TARGET_DENIED', address);
    }
    assert.equal(verdict(lists, '9.9.9.9', 'bad.test'), 'ERR_TARGET_DENIED');
  });

  test('a name that no address can make a target is refused before it is looked up', () => {
    const denied = createTargetRules({ deny: ['*.bad.test'] }, nobody);
    assert.equal(denied.judgeName('www.bad.test')?.code, 'ERR_TARGET_DENIED');
    assert.equal(denied.judgeName('good.test'), undefined);
    const only = createTargetRules({ only: ['example.com'] }, nobody);
    assert.equal(only.judgeName('elsewhere.test')?.code, 'ERR_TARGET_DENIED');
    assert.equal(only.judgeName('Example.com.'), undefined);
    const network = createTargetRules({ only: ['8.8.8.0/24'] }, nobody);
    assert.equal(network.judgeName('elsewhere.test'), undefined, 'its addresses decide');
  });

  test('entries that cannot be meant are refused', () => {
    for (const text of [
      '',
      '10.0.0.0/33',
      '10.0.0',
      '300.1.1.1',
      'a b',
      '@10.0.0.0/8',
      'name@',
      '::1%lo',
      '*',
    ]) {
      assert.throws(
        () => createTargetRules({ deny: [text] }, nobody),
        (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
        text,
      );
    }
  });

  test("the proxy's own addresses are refused, public ones too, and interfaces are read again", () => {
    const clock = createVirtualClock();
    let address = '8.8.4.4';
    const own = createOwnAddresses(clock, ['9.9.9.9', '2606:4700:0::1'], () => ({
      eth0: [
        {
          address,
          netmask: '255.255.255.0',
          family: 'IPv4',
          mac: '00:00:00:00:00:00',
          internal: false,
          cidr: null,
        },
      ],
    }));
    const rules = createTargetRules({}, own);
    const judge = (text: string): boolean => rules.judge(undefined, text).allowed;
    assert.deepEqual(
      ['8.8.4.4', '9.9.9.9', '::ffff:9.9.9.9', '64:ff9b::9.9.9.9', '2606:4700::1', '1.1.1.1'].map(judge),
      [false, false, false, false, false, true],
    );
    address = '1.1.1.1';
    clock.advance(6_000);
    assert.deepEqual(['8.8.4.4', '1.1.1.1'].map(judge), [true, false]);
    const lifted = createTargetRules({ allow: ['1.1.1.1'] }, own);
    assert.equal(lifted.judge(undefined, '1.1.1.1').allowed, true);
  });
});
