export { accessOf, type Hop } from '../upstream/hop.js';
