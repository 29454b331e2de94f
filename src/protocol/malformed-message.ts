/** A request or response that breaks HTTP's rules for messages: it is refused, or its stream aborted. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
  /** The status that a malformed request is answered with. */
  readonly status = 400;
}
