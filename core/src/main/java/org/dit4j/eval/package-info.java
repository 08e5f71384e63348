/**
 * How good sets of pictures are: networks that turn pictures into features, statistics of features, and the figures that papers report. It is
 * fed pictures and features, and knows no model of ours.
 *
 * <p>Letters of shapes: N pictures, D features of a picture, H W pixels.
 */
package org.dit4j.eval;
