/** What nodes say, by its code. They say it in English themselves. */
const sentences: Readonly<Record<string, string>> = {};

export default sentences;
