"""The leaderboard and the report page."""
