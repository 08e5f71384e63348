/** Bytes ↔ named tensors and pictures; knows no model. */
package org.dit4j.io;
