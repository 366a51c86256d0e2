/** What esbuild takes beside TypeScript. */
declare module '*.css';
