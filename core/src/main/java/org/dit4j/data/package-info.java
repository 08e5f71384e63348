/** Where batches come from, in a reproducible order. Letters: N batch, C channels, H W pixels. */
package org.dit4j.data;
