/**
 * The {@code dit} command: one class per subcommand, each turning flags and a recipe into records and making one call of the library.
 */
package org.dit4j.cli;
