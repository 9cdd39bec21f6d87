/** The same keys with texts of any content: what a translation has to have. */
export type Like<T> = {
  [K in keyof T]: T[K] extends string ? string : T[K] extends (...values: infer V) => string ? (...values: V) => string : Like<T[K]>;
};
