const chosen = process.env['BAUTA_TEST_SHARDS'];
if (chosen !== undefined && !/^[1-9]\d?$/.test(chosen)) throw new Error(`BAUTA_TEST_SHARDS is ${chosen}`);

/** Threads of the engines that serve in tests: every suite has to pass with any number. */
export const shards = chosen === undefined ? undefined : Number(chosen);

/** The same as an option; what is not given has its default. */
export const shardOption = shards === undefined ? {} : { shards };
