/** Milliseconds; the machine's timers fire at once when they are given more. */
export const LONGEST_TIMER = 2_147_483_647;
