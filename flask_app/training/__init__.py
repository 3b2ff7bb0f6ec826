"""Training: dataset -> candidates -> calibration -> threshold -> bundle."""
