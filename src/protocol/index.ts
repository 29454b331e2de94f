export {
  type AccessLink,
  formatAccessLink,
  parseAccessLink,
  redactAccessLink,
  redactLinks,
} from './access-link.js';
export {
  type Cidr,
  cidrContains,
  formatAddress,
  formatCidr,
  type IpAddress,
  parseAddress,
  parseCidr,
  unmapAddress,
} from './address.js';
export { type AddressVerdict, embeddedIpv4, judgeAddress } from './address-verdict.js';
export {
  areBasicCredentials,
  type BasicCredentials,
  formatBasicCredentials,
  parseBasicCredentials,
} from './basic-credentials.js';
export { BautaError, type BautaErrorDetail } from './bauta-error.js';
export {
  CapsuleError,
  type CapsuleHandler,
  type CapsuleParser,
  type CapsuleProblem,
  type CapsuleRules,
  capsuleHeaderSize,
  capsuleTypes,
  createCapsuleParser,
  encodeCapsule,
  MAX_DATAGRAM_PAYLOAD,
  MAX_UDP_PAYLOAD,
  writeCapsuleHeader,
} from './capsule.js';
export { checkCapsuleRequest, checkCapsuleResponse } from './capsule-message.js';
export { booleanField, capsuleProtocolField, saysCapsuleProtocol } from './capsule-protocol.js';
export {
  type ConnectTcpCapsules,
  type ConnectTcpRevision,
  connectTcpCapsule,
  connectTcpCapsulesWith,
  connectTcpRevisionOf,
  connectTcpRevisions,
  newestConnectTcp,
  newestConnectTcpCapsules,
} from './connect-tcp.js';
export {
  ConnectTcpError,
  type ConnectTcpHandler,
  type ConnectTcpParser,
  type ConnectTcpProblem,
  createConnectTcpParser,
} from './connect-tcp-bytes.js';
export { type ContextIds, type ContextOpening, createContextIds } from './context-ids.js';
export { type ErrorCode, type Failure, failures } from './failures.js';
export { type Fields, fieldSectionSize, fieldValues, singleField } from './fields.js';
export { quarterStreamIdPrefix, readQuarterStreamId } from './h3-datagram.js';
export { H3Error, type H3ErrorName, h3ErrorCodes, h3ErrorName } from './h3-error.js';
export {
  createH3FrameParser,
  encodeH3Frame,
  type H3FrameHandler,
  type H3FrameParser,
  type H3FrameRules,
  h3FrameTypes,
  writeH3FrameHeader,
} from './h3-frame.js';
export { decodeH3Settings, encodeH3Settings, type H3Settings, h3SettingIds } from './h3-settings.js';
export { MalformedMessageError } from './malformed-message.js';
export { canonicalPin } from './pin.js';
export { formatProxyStatus, nextHopOf, type ProxyStatus, parseProxyStatus } from './proxy-status.js';
export { decodeFieldSection } from './qpack/decoder.js';
export { encodeFieldSection } from './qpack/encoder.js';
export type { RequestHead, ResponseHead } from './request.js';
export { decodeRequest, encodeRequest } from './request-fields.js';
export { codeOf, type HttpVersion, type ResetReason, reasonOf } from './reset-reason.js';
export { decodeResponse, encodeResponse } from './response-fields.js';
export { formatHostPort, formatTarget, makeTarget, parseTarget, type Target } from './target.js';
export {
  defaultTemplates,
  expandTemplate,
  parseTemplate,
  targetVariables,
  templateVariables,
  type UriTemplate,
} from './template.js';
export { createTemplateMatcher, type TemplateMatch, type TemplateMatcher } from './template-matcher.js';
export { INCOMPLETE, readVarint, varintLength, varintSize, writeVarint } from './varint.js';
