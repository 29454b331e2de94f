import type { RequestHead, ResponseHead } from '../http/request.js';

export interface PlainAnswer {
  readonly head: ResponseHead;
  readonly body: Uint8Array;
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Proxy</title>
<p>This server is a proxy and is working.</p>
</html>
`;

const text = (status: number, body: string, type: string, more: ResponseHead['fields'] = []): PlainAnswer => {
  const bytes = Buffer.from(body, 'utf8');
  return {
    head: {
      status,
      fields: [
        ['content-type', `${type}; charset=utf-8`],
        ['content-length', String(bytes.length)],
        ['cache-control', 'no-store'],
        ['x-content-type-options', 'nosniff'],
        ...more,
      ],
    },
    body: bytes,
  };
};

/** What a browser sees here: a page at `/` that says nothing of the product, and 404 anywhere else. */
export function answerPlain(request: Extract<RequestHead, { kind: 'plain' }>): PlainAnswer {
  const path = request.path.split('?')[0];
  if (path !== '/') return text(404, 'Not found.\n', 'text/plain');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return text(405, 'Method not allowed.\n', 'text/plain', [['allow', 'GET, HEAD']]);
  }
  const answer = text(200, page, 'text/html', [['content-security-policy', "default-src 'none'"]]);
  return request.method === 'HEAD' ? { head: answer.head, body: new Uint8Array() } : answer;
}
