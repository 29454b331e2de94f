export type { RequestHead, ResponseHead } from '../protocol/request.js';
