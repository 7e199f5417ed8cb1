"""The parts of OpenAI's HTTP interface that continue text."""
