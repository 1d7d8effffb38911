"""The step count of a board that may forget it, and ours, which goes on."""

from hw.stage import StageFault


class BoardCount:
    """Where the axis stands by the count of a board. Our count is the board's and an offset."""

    def __init__(self) -> None:
        self._board: int | None = None
        self._offset = 0
        self._within = range(0)  # where it may have got to, by its own count

    @property
    def known(self) -> bool:
        """Whether the board was ever asked."""
        return self._board is not None

    @property
    def board(self) -> int:
        """The board's count when it last stood still; 0 before it was asked."""
        return self._board or 0

    @property
    def steps(self) -> int:
        """Our count at that time."""
        return self.board + self._offset

    def start_at(self, board: int, steps: int) -> None:
        """Take the board's count for the first time, as `steps` of ours."""
        self._offset = steps - board
        self._stand(board)

    def leave_for(self, steps: int) -> None:
        """Note that the axis leaves for a place so many steps away, which it may not reach."""
        goal = self.board + steps
        self._within = range(min(self.board, goal), max(self.board, goal) + 1)

    def arrive(self, board: int) -> None:
        """Take the count after a move. Raises StageFault if it is not on the way of the move."""
        if board not in self._within:
            raise StageFault(
                f"the board counts {board} steps, outside its way from {self._within[0]} to "
                f"{self._within[-1]}; it was reset, or the line garbles numbers: check the cable"
            )
        self._stand(board)

    def resume(self, board: int) -> None:
        """Take the count after a fault, or a disturbance.

        Off its way, 0 is that of a board that was reset, and ours stays where it last was for
        sure; else something other than us moved the axis, and the count is right.
        """
        if board == 0 and board not in self._within:
            self._offset = self.steps
        self._stand(board)

    def _stand(self, board: int) -> None:
        self._board = board
        self._within = range(board, board + 1)
