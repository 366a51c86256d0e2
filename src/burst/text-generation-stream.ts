/**
 * The one function of `@huggingface/inference` that is used, from the file that it is in: the package's own entry
 * brings code samples for every model library, 100 KB gzipped, and a bundler cannot tell that nobody asks for them.
 */
export { textGenerationStream } from '../../node_modules/@huggingface/inference/dist/esm/tasks/nlp/textGenerationStream.js';
