/** The facade: open a trained model, ask for pictures. */
package org.dit4j;
