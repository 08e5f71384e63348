package org.dit4j.model;

/**
 * What a layer costs.
 *
 * @param name the module's published name; N stands for the number of a block
 * @param count how many there are of it
 * @param parameters of one
 * @param operations of one, for one image in one forward pass: multiply-accumulates, of a LayerNorm one for each element
 */
public record LayerCost(String name, int count, long parameters, double operations) {}
