import { formatAddress, type IpAddress, parseAddress, unmapAddress } from '../protocol/address.js';
import { embeddedIpv4, judgeAddress } from '../protocol/address-verdict.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { OwnAddresses } from './own-addresses.js';
import { parseTargetRule, type TargetRule } from './target-rule.js';

/** Lists of CIDR, NAME and NAME@CIDR. */
export interface TargetLists {
  /** Lifts the built-in refusal for these addresses; each entry has a CIDR, as a name alone lifts nothing. */
  readonly allow?: readonly string[];
  /** When not empty, nothing else is a target. */
  readonly only?: readonly string[];
  /** Wins over everything. */
  readonly deny?: readonly string[];
}

export interface TargetDenial {
  readonly allowed: false;
  readonly code: 'ERR_TARGET_REFUSED' | 'ERR_TARGET_DENIED';
  readonly reason: string;
}

export type TargetVerdict =
  /** `address` is canonical: dial this one. */
  { readonly allowed: true; readonly address: string; readonly reason: string } | TargetDenial;

/** Which addresses may be dialled. `tcpPort` is the port where it is one of TCP. */
export interface TargetRules {
  /** A name that is refused whatever it resolves to; undefined when its addresses decide. */
  judgeName(name: string): TargetDenial | undefined;
  /**
   * A name that is not resolved here, because the tunnel goes to a next hop. An `only` list lets nothing pass
   * but what it names: a list of addresses cannot be kept where no address is known.
   */
  judgeForwardedName(name: string, tcpPort?: number): TargetDenial | undefined;
  /** The verdict on one address, literal or found for `name`. */
  judge(name: string | undefined, address: string, tcpPort?: number): TargetVerdict;
}

/** Mail between servers: a proxy that carries it is soon a sender of spam. */
const SMTP = 25;
const SMTP_REFUSED = 'TCP port 25 is for mail servers';

const denied = (reason: string): TargetDenial => ({ allowed: false, code: 'ERR_TARGET_DENIED', reason });

/** Reads the lists; throws `BautaError` ERR_USAGE for an entry that cannot be meant. */
export function createTargetRules(lists: TargetLists, own: OwnAddresses): TargetRules {
  const allow = (lists.allow ?? []).map(parseTargetRule);
  const only = (lists.only ?? []).map(parseTargetRule);
  const deny = (lists.deny ?? []).map(parseTargetRule);
  for (const rule of allow) {
    if (!rule.hasAddresses) {
      throw new BautaError('ERR_USAGE', {
        detail: `allow ${rule.text}: a name alone lifts no refusal; write ${rule.text}@CIDR`,
      });
    }
  }

  const builtIn = (address: IpAddress, inner: IpAddress | undefined): string | undefined => {
    const verdict = judgeAddress(address);
    if (verdict.kind === 'refused') return `${verdict.name}, ${verdict.block}`;
    return own.has(address) || (inner && own.has(inner)) ? 'an address of the proxy itself' : undefined;
  };
  const fits = (rule: TargetRule, name: string | undefined, address: IpAddress): boolean =>
    rule.fitsName(name) && rule.fitsAddress(address);

  const judgeName = (host: string): TargetDenial | undefined => {
    const name = host.toLowerCase().replace(/\.$/, '');
    const no = deny.find((rule) => !rule.hasAddresses && rule.fitsName(name));
    if (no) return denied(`denied by ${no.text}`);
    if (only.length > 0 && !only.some((rule) => rule.fitsName(name))) {
      return denied('not in the list of the only targets');
    }
    return undefined;
  };

  return {
    judgeName,
    judgeForwardedName(host, tcpPort) {
      const name = host.toLowerCase().replace(/\.$/, '');
      const no = judgeName(host);
      if (no) return no;
      if (only.length > 0 && !only.some((rule) => rule.hasName && rule.fitsName(name))) {
        return denied('no name in the list of the only targets');
      }
      // No address is known here that could lift the refusal, but that of a NAME@CIDR.
      const lifted = allow.some((rule) => rule.hasName && rule.fitsName(name));
      if (tcpPort !== SMTP || lifted) return undefined;
      return { allowed: false, code: 'ERR_TARGET_REFUSED', reason: SMTP_REFUSED };
    },
    judge(host, literal, tcpPort) {
      const name = host?.toLowerCase().replace(/\.$/, '');
      const parsed = parseAddress(literal);
      if (!parsed) return { allowed: false, code: 'ERR_TARGET_REFUSED', reason: 'not an address' };
      // A mapped address is dialled as the IPv4 address that it is.
      const address = unmapAddress(parsed);
      const inner = embeddedIpv4(address);
      const no = deny.find((rule) => fits(rule, name, address) || (inner && fits(rule, name, inner)));
      if (no) return denied(`denied by ${no.text}`);
      const yes = only.find((rule) => fits(rule, name, address));
      if (only.length > 0 && !yes) return denied('not in the list of the only targets');
      const refused = builtIn(address, inner) ?? (tcpPort === SMTP ? SMTP_REFUSED : undefined);
      const text = formatAddress(address);
      if (refused === undefined) {
        return {
          allowed: true,
          address: text,
          reason: yes ? `in the list by ${yes.text}` : 'a public address',
        };
      }
      const lifted = allow.find((rule) => fits(rule, name, address));
      if (lifted) return { allowed: true, address: text, reason: `allowed by ${lifted.text} (${refused})` };
      return { allowed: false, code: 'ERR_TARGET_REFUSED', reason: refused };
    },
  };
}
