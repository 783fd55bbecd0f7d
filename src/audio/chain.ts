/** One step of the way: takes something and hands on none, one or several of something. */
export type Stage<In, Out> = (input: In, next: (output: Out) => void) => void;

type Push<T> = (value: T) => void;

/** Joins stages, in the order in which they are named, to one function that ends in `sink`. */
export function chain<A>(stages: [], sink: Push<A>): Push<A>;
export function chain<A, B>(stages: [Stage<A, B>], sink: Push<B>): Push<A>;
export function chain<A, B, C>(stages: [Stage<A, B>, Stage<B, C>], sink: Push<C>): Push<A>;
export function chain<A, B, C, D>(stages: [Stage<A, B>, Stage<B, C>, Stage<C, D>], sink: Push<D>): Push<A>;
export function chain<A, B, C, D, E>(
  stages: [Stage<A, B>, Stage<B, C>, Stage<C, D>, Stage<D, E>],
  sink: Push<E>,
): Push<A>;
export function chain(stages: Stage<unknown, unknown>[], sink: Push<unknown>): Push<unknown> {
  return stages.reduceRight<Push<unknown>>((next, stage) => (input) => stage(input, next), sink);
}
