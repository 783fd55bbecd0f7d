// A filter that changes nothing, to measure what surrounds it.
export default { create: () => ({ process() {} }) };
