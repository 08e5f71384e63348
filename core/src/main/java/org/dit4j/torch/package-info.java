/** What makes LibTorch through JavaCPP pleasant and safe: loading, scopes, layers, state dicts, counter-based noise. */
package org.dit4j.torch;
